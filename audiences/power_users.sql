-- /// audience
-- about    = "Used the core feature on 12 or more of the last 28 days"
-- owner    = "product@example.com"
-- key      = "customer_id"
-- schedule = "0 6 * * *"
--
-- [sync.webhook]
-- list = "Power users"
-- send = ["email", "first_name", "plan"]
-- ///
-- Days of use, not clicks: one busy afternoon makes no habit. 28 days hold every weekday four times.
-- Today is left out, since it is not over. The number of days is not sent: it would update everyone every day.
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
where u.days >= 12
