-- /// audience
-- about    = "Promoters who bought in the last 90 days: worth asking to invite a friend"
-- owner    = "growth@example.com"
-- key      = "customer_id"
-- schedule = "0 7 * * mon-fri"
-- timezone = "Europe/Berlin"
--
-- [sync.webhook]
-- list = "Referral candidates"
-- send = ["email", "first_name", "nps_score"]
-- ///
-- A score is what people say, an order is what they do: we ask only those who did both.
-- Half a year for the answer, since a loyal buyer is not asked every month.
with answer as (
    select customer_id, score, answered_on,
        row_number() over (partition by customer_id order by answered_on desc, answer_id desc) as nth
    from simulated.nps_answers
)
select c.customer_id, c.email, c.first_name, a.score as nps_score
from answer as a
join shop.customers as c on c.customer_id = a.customer_id
where a.nth = 1 and a.score >= 9 and a.answered_on >= current_date - 180
    and exists (
        select 1 from shop.orders as o
        where o.customer_id = c.customer_id and o.ordered_on >= current_date - 90
    )
