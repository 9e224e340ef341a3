-- The demo warehouse, from one table `purchase` (customer_id, day, cds, amount): the real CDNOW histories.
--
-- Everything lies in `archive`, in the data set's own calendar (1997-01-01 to 1998-06-30), days not yet told included.
-- The views in `shop` and `simulated` show it up to the clock's day, with the dates moved next to today.
-- So a day passes by moving the clock alone, and no figure depends on the date of the build.

create schema archive;
create schema shop;
create schema simulated;

-- A number in [0, 1) that belongs to a thing and never changes: md5, since hash() may differ between versions.
create temp macro draw(what, id) as cast('0x' || left(md5(what || ':' || id), 8) as ubigint) / 4294967296.0;
create temp macro below(n, what, id) as cast(floor(draw(what, id) * n) as integer);
create temp macro first_names() as string_split(
    'Ada Amir Anna Aylin Ben Bruno Carla Chen Daan Dina Elif Emil Esra Farid Finn Grace Hana Hugo Ines Ivan Jana Jonas '
    || 'Kaya Kofi Lena Liam Maja Marco Mila Nadia Noah Olga Omar Paula Pia Rosa Sami Sofia Tariq Tom Uma Vera Yara Zoe',
    ' '
);
create temp macro last_day() as date '1998-06-30';

create table archive.clock as
select cast($told_to as date) as told_to, cast(cast($today as date) - cast($told_to as date) - 1 as integer) as shift;

-- Real

create table archive.orders as
select row_number() over (order by day, customer_id, amount, cds) as order_id, customer_id, day, cds, amount
from purchase
order by order_id;

-- Simulated

create table archive.simulated_people as
select
    customer_id,
    first_names()[1 + below(len(first_names()), 'name', customer_id)] as first_name,
    printf('customer%05d@example.com', customer_id) as email,
    printf('customer%05d.new@example.com', customer_id) as next_email,
    last_day() - 60 + below(600, 'moves', customer_id) as moves_on  -- about 39 a day
from (select distinct customer_id from archive.orders)
order by customer_id;

-- The shop also has an app. Some sign up for it, of these some never come to use it, and some use it up to a day.
create temp table member as
select
    customer_id,
    last_day() - 400 + below(700, 'signs up', customer_id) as signs_up_on,
    case when draw('ever', customer_id) < 0.30 then 0 else 0.8 * power(draw('eager', customer_id), 2) end as per_day,
    case
        when draw('quits', customer_id) < 0.40 then last_day() - 120 + below(300, 'quits on', customer_id)
    end as quits_on
from archive.simulated_people;

create temp table plan as
select customer_id, 'free' as plan, signs_up_on as day, signs_up_on, quits_on from member
union all
select customer_id, 'plus', signs_up_on + 20 + below(200, 'plus on', customer_id), signs_up_on, quits_on
from member where per_day > 0 and draw('plus', customer_id) < 0.60
union all
select customer_id, 'pro', signs_up_on + 250 + below(200, 'pro on', customer_id), signs_up_on, quits_on
from member where per_day > 0 and draw('plus', customer_id) < 0.20;

-- Who stops using the app pays on for a while, then goes back to the free plan.
create table archive.simulated_plans as
select customer_id, plan, day from plan
where day <= last_day() and (quits_on is null or plan = 'free' or day < quits_on)
union all
select customer_id, 'free', quits_on + 45 from plan
where quits_on + 45 <= last_day() and day < quits_on
group by customer_id, quits_on
having bool_or(plan <> 'free')
order by day, customer_id;

create table archive.simulated_nps_answers as
with asked as (
    select
        customer_id,
        last_day() - below(400, 'asked' || nth, customer_id) as day,
        draw('score' || nth, customer_id) as mood
    from archive.simulated_people cross join (values ('1'), ('2')) as round(nth)
    where draw('answers' || nth, customer_id) < 0.5
)
select
    row_number() over (order by day, customer_id, mood) as answer_id,
    customer_id,
    day,
    cast(case when mood < 0.2 then floor(mood * 35) when mood < 0.5 then 7 + floor((mood - 0.2) / 0.15)
         else 9 + floor((mood - 0.5) / 0.25) end as integer) as score
from asked
order by answer_id;

-- Use and views of products are kept for eleven weeks: no audience looks further back.
create table archive.simulated_events as
with day as (
    select cast(unnest(generate_series(last_day() - 76, last_day(), interval 1 day)) as date) as day
), curious as (
    select customer_id, last_day() - 130 + below(200, 'curious', customer_id) as since
    from archive.simulated_people where draw('ever curious', customer_id) < 0.5
), event as (
    select 'User Signed Up' as event, customer_id, signs_up_on as day from member where signs_up_on <= last_day()
    union all
    select 'Core Feature Used', customer_id, day
    from member join day on day.day between signs_up_on and coalesce(quits_on - 1, last_day())
    where per_day > 0 and draw('uses' || day.day, customer_id) < per_day
    union all
    select 'Product Viewed', customer_id, day from curious join day on day.day between since and since + 9
    where draw('views' || day.day, customer_id) < 0.4
    union all
    select 'Subscription Upgraded', customer_id, day from archive.simulated_plans where plan <> 'free'
    union all
    select 'Order Completed', customer_id, day from archive.orders
    union all
    select 'Customer Review Posted', customer_id, day + 1 + below(10, 'review on', order_id)
    from archive.orders where draw('review', order_id) < 0.08
)
select row_number() over (order by day, event, customer_id) as event_id, event, customer_id, day
from event
where day <= last_day()
order by event_id;

-- What the audiences read

create view shop.orders as
select order_id, customer_id, day + shift as ordered_on, cds, amount
from archive.orders, archive.clock where day <= told_to;

create view shop.customers as
select customer_id, first_name, case when moves_on <= told_to then next_email else email end as email
from archive.simulated_people, archive.clock;

create view simulated.nps_answers as
select answer_id, customer_id, day + shift as answered_on, score
from archive.simulated_nps_answers, archive.clock where day <= told_to;

create view simulated.subscriptions as
select customer_id, plan, day + shift as since
from archive.simulated_plans, archive.clock where day <= told_to
qualify row_number() over (partition by customer_id order by day desc) = 1;

create view simulated.product_events as
select event_id, event, customer_id, day + shift as happened_on
from archive.simulated_events, archive.clock where day <= told_to;

comment on view shop.orders is 'REAL: the purchases of 23,570 CDNOW customers, 1997 to 1998; only the dates are moved';
comment on column shop.orders.ordered_on is 'the real day, moved so that the newest purchase was yesterday';
comment on column shop.orders.amount is 'US dollars';
comment on view shop.customers is 'REAL customers with SIMULATED names and addresses: the data set has none';
comment on column shop.customers.first_name is 'SIMULATED';
comment on column shop.customers.email is 'SIMULATED: nobody reads it; some customers change it';
comment on view simulated.nps_answers is 'SIMULATED: answers to "how likely are you to recommend us", 0 to 10';
comment on view simulated.subscriptions is 'SIMULATED: the plan each member has now: free, plus or pro';
comment on view simulated.product_events is 'SIMULATED: who did what; only Order Completed repeats real orders';
comment on table archive.orders is 'REAL: the whole histories in their own calendar, days not yet told included';
comment on table archive.clock is 'told_to: the last day told, in the calendar of 1998; shift: days to the dates shown';
comment on table archive.simulated_people is 'SIMULATED: a name, an address, and the next address';
comment on table archive.simulated_plans is 'SIMULATED: every change of plan';
comment on table archive.simulated_nps_answers is 'SIMULATED: every answer';
comment on table archive.simulated_events is 'SIMULATED: every event';
