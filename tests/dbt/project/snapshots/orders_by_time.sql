{% snapshot orders_by_time %}
{{ config(unique_key='id', strategy='timestamp', updated_at='updated_at', target_schema=target.schema) }}
select * from {{ source('raw', 'orders') }}
{% endsnapshot %}
