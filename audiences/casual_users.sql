-- /// audience
-- about    = "Used the core feature on 1 to 4 of the last 28 days"
-- owner    = "product@example.com"
-- key      = "customer_id"
-- schedule = "0 6 * * *"
--
-- [sync.file]
-- list = "Casual users"
-- send = ["email", "first_name", "plan"]
-- ///
-- The same measure as power_users, at its other end; who did not come at all belongs to churn_risk, not here.
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
where u.days between 1 and 4
