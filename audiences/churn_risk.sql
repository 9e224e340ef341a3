-- /// audience
-- about    = "Paying, and using it less than half as often as the month before"
-- owner    = "success@example.com"
-- key      = "customer_id"
-- schedule = "0 * * * *"
--
-- [sync.webhook]
-- list = "Churn risk"
-- send = ["email", "first_name", "plan"]
-- ///
-- Each member is compared with their own past: a rare user who stays rare is no risk.
-- At least 3 days of use before, so that one skipped visit alone raises no alarm.
with use as (
    select customer_id,
        count(distinct happened_on) filter (where happened_on >= current_date - 28) as days,
        count(distinct happened_on) filter (where happened_on < current_date - 28) as days_before
    from simulated.product_events
    where event = 'Core Feature Used' and happened_on >= current_date - 56 and happened_on < current_date
    group by customer_id
)
select c.customer_id, c.email, c.first_name, s.plan
from use as u
join shop.customers as c on c.customer_id = u.customer_id
join simulated.subscriptions as s on s.customer_id = u.customer_id
where s.plan <> 'free' and u.days_before >= 3 and u.days * 2 < u.days_before
