select region, count(*) as orders from {{ ref('big_orders') }} group by region
