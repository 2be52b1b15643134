{% snapshot customers_by_value %}
{{ config(unique_key='id', strategy='check', check_cols=['name', 'city'], target_schema=target.schema, hard_deletes='invalidate') }}
select * from {{ source('raw', 'customers') }}
{% endsnapshot %}
