import sys

import adbc_driver_manager.dbapi as adbc

library, warehouse, user, password = sys.argv[1:]
person = {"path": warehouse, "username": user, "password": password}
with adbc.connect(driver=library, db_kwargs=person, autocommit=True) as connection:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM orders WHERE amount >= $1", (10,))
        orders = cursor.fetch_arrow_table()
        print(f"{user}: {orders.num_rows} orders")
