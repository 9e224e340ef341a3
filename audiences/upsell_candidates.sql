-- /// audience
-- about    = "On the free plan and using it like a paying customer"
-- owner    = "sales@example.com"
-- key      = "customer_id"
-- schedule = "30 6 * * mon-fri"
--
-- [sync.webhook]
-- list = "Upsell candidates"
-- send = ["email", "first_name", "plan"]
--
-- [sync.file]
-- list = "Upsell candidates"
-- send = ["email", "first_name", "plan"]
-- ///
-- Eight days of use in four weeks: more than the median paying member, who comes on five.
-- Whoever changed plan in the last 30 days is left in peace: an offer now would follow a decision just made.
with use as (
    select customer_id, count(distinct happened_on) as days
    from simulated.product_events
    where event = 'Core Feature Used' and happened_on >= current_date - 28 and happened_on < current_date
    group by customer_id
)
select c.customer_id, c.email, c.first_name, s.plan
from use as u
join shop.customers as c on c.customer_id = u.customer_id
join simulated.subscriptions as s on s.customer_id = u.customer_id
where u.days >= 8 and s.plan = 'free' and s.since < current_date - 30
