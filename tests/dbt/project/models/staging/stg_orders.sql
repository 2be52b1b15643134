select id as order_id, customer_id, country, amount, status, updated_at, cast(updated_at as date) as updated_on
from {{ source('raw', 'orders') }}
