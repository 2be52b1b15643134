select id as order_id, region, amount, ordered_on from {{ source('lake', 'orders') }}
