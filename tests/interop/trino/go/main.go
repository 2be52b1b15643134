// Trino's Go client against a server: main PORT CERTIFICATE PASSWORD; or main PORT CERTIFICATE browser, which prints the address to open.
// Ends with "ok" if all holds.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/trinodb/trino-go-client/trino"
)

func check(holds bool, what ...any) {
	if !holds {
		fmt.Println(append([]any{"wrong:"}, what...)...)
		os.Exit(1)
	}
}

func open(config trino.Config) *sql.DB {
	connector, err := trino.NewConnector(&config)
	check(err == nil, err)
	return sql.OpenDB(connector)
}

func values(db *sql.DB) {
	var (
		number  int64
		text    string
		decimal string
		real    float64
		when    time.Time
		isTrue  bool
		none    sql.NullString
		list    trino.NullSlice[sql.NullInt64]
	)
	row := db.QueryRow(`SELECT BIGINT '9007199254740993', 'é"\', DECIMAL '12.50', 1.5e0, TIMESTAMP '2024-02-29 23:59:59.999999', true, CAST(NULL AS varchar), ARRAY[BIGINT '1', NULL]`)
	err := row.Scan(&number, &text, &decimal, &real, &when, &isTrue, &none, &list)
	check(err == nil, err)
	check(number == 9007199254740993 && text == `é"\` && decimal == "12.50" && real == 1.5 && isTrue && !none.Valid, number, text, decimal, real, isTrue, none)
	check(when.Format("2006-01-02 15:04:05.000000") == "2024-02-29 23:59:59.999999", when)
	check(len(list.Slice) == 2 && list.Slice[0].Int64 == 1 && !list.Slice[1].Valid, list)
}

func parameters(db *sql.DB) {
	var sum int64
	var text string
	err := db.QueryRow("SELECT ? + x, ? FROM v WHERE x = ?", 41, "it's", 1).Scan(&sum, &text)
	check(err == nil && sum == 42 && text == "it's", err, sum, text)
}

func manyRows(db *sql.DB) {
	rows, err := db.Query("SELECT i, rpad('x', 20, 'x') FROM range(300000) r(i)")
	check(err == nil, err)
	defer rows.Close()
	var number, expected int64
	var text string
	for ; rows.Next(); expected++ {
		check(rows.Scan(&number, &text) == nil && number == expected, number, expected)
	}
	check(rows.Err() == nil && expected == 300000, rows.Err(), expected)
	types, err := db.Query("SELECT DECIMAL '1.5' AS d, TIMESTAMP '2024-01-01 00:00:00' AS t")
	check(err == nil, err)
	defer types.Close()
	columns, err := types.ColumnTypes()
	check(err == nil && columns[0].DatabaseTypeName() == "DECIMAL" && columns[1].DatabaseTypeName() == "TIMESTAMP", err)
	precision, scale, ok := columns[0].DecimalSize()
	check(ok && precision == 2 && scale == 1, precision, scale)
}

func failures(db *sql.DB) {
	var failed *trino.ErrTrino
	_, err := db.Query("SELECT nope FROM v")
	check(errors.As(err, &failed) && failed.ErrorName == "COLUMN_NOT_FOUND" && failed.ErrorCode == 47, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	begun := time.Now()
	_, err = db.ExecContext(ctx, "SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3")
	check(err != nil && time.Since(begun) < 20*time.Second, err)
	var running int
	for i := 0; i < 50; i++ {
		check(db.QueryRow("SELECT count(*) FROM system.runtime.queries WHERE query LIKE '%range(1000000000000)%' AND query NOT LIKE '%runtime%'").Scan(&running) == nil)
		if running == 0 {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	check(false, "a query that was given up still runs")
}

func main() {
	port, certificate, password := os.Args[1], os.Args[2], os.Args[3]
	config := trino.Config{Catalog: "moat", Schema: "main", SSLCertPath: certificate}
	if password == "browser" {
		config.ServerURI = "https://bob@127.0.0.1:" + port
		config.ExternalAuthentication = true
		config.RedirectHandler = func(_ context.Context, address *url.URL) error {
			fmt.Println(address)
			return nil
		}
		db := open(config)
		for i := 0; i < 2; i++ {
			var who string
			err := db.QueryRow("SELECT current_user FROM v").Scan(&who)
			check(err == nil && who == "bob", err, who)
		}
		fmt.Println("ok")
		return
	}
	config.ServerURI = (&url.URL{Scheme: "https", User: url.UserPassword("amelia", password), Host: "127.0.0.1:" + port}).String()
	for _, explicit := range []bool{false, true} {
		config.DisableExplicitPrepare = explicit
		db := open(config)
		values(db)
		parameters(db)
		manyRows(db)
		failures(db)
		check(db.Close() == nil)
	}
	fmt.Println("ok")
}
