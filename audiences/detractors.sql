-- /// audience
-- about    = "Latest NPS answer was 0 to 6"
-- owner    = "cx@example.com"
-- key      = "customer_id"
-- schedule = "*/15 * * * *"
--
-- [sync.webhook]
-- list = "Detractors"
-- send = ["email", "first_name", "nps_score"]
--
-- [sync.file]
-- list = "Detractors"
-- send = ["email", "first_name", "nps_score"]
-- ///
-- Only the latest answer counts: who gave a 3 in spring and a 9 last week is no detractor any more.
-- After 90 days an answer says little about today, so the member leaves.
with answer as (
    select customer_id, score, answered_on,
        row_number() over (partition by customer_id order by answered_on desc, answer_id desc) as nth
    from simulated.nps_answers
)
select c.customer_id, c.email, c.first_name, a.score as nps_score
from answer as a
join shop.customers as c on c.customer_id = a.customer_id
where a.nth = 1 and a.score <= 6 and a.answered_on >= current_date - 90
