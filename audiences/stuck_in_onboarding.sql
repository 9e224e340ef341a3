-- /// audience
-- about    = "Signed up 3 to 30 days ago and never reached the core feature"
-- owner    = "growth@example.com"
-- key      = "customer_id"
-- schedule = "*/30 * * * *"
--
-- [sync.webhook]
-- list = "Stuck in onboarding"
-- send = ["email", "first_name"]
-- ///
-- Three days to find it alone; after 30 days help comes too late. Whoever reaches it leaves with the next run.
select c.customer_id, c.email, c.first_name
from simulated.product_events as e
join shop.customers as c on c.customer_id = e.customer_id
where e.event = 'User Signed Up'
    and e.happened_on between current_date - 30 and current_date - 3
    and not exists (
        select 1 from simulated.product_events as used
        where used.customer_id = e.customer_id and used.event = 'Core Feature Used'
    )
