-- /// audience
-- about    = "Latest NPS answer was 9 or 10"
-- owner    = "cx@example.com"
-- key      = "customer_id"
-- schedule = "*/15 * * * *"
--
-- [sync.file]
-- list = "Promoters"
-- send = ["email", "first_name", "nps_score"]
-- ///
-- The mirror of detractors, by the same rule: the latest answer, at most 90 days old. Nobody is on both lists.
with answer as (
    select customer_id, score, answered_on,
        row_number() over (partition by customer_id order by answered_on desc, answer_id desc) as nth
    from simulated.nps_answers
)
select c.customer_id, c.email, c.first_name, a.score as nps_score
from answer as a
join shop.customers as c on c.customer_id = a.customer_id
where a.nth = 1 and a.score >= 9 and a.answered_on >= current_date - 90
