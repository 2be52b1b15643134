/* The bare engine, for comparison: the same library, opened with its defaults, and nothing else.
 *
 *   bare_duckdb SQL                  open, run, print, leave
 *   bare_duckdb --hold SQL           the same, then wait until standard input is closed
 *   bare_duckdb --script FILE        statements that end in ";" at the end of a line: rows as CSV,
 *                                    and for each that has rows its microseconds on standard error
 *
 * The deprecated duckdb_value_varchar prints every type as the engine itself would; it runs outside
 * of what is timed. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <duckdb.h>

static void print_rows(duckdb_result *result)
{
    idx_t columns = duckdb_column_count(result);
    idx_t rows = duckdb_row_count(result);
    for (idx_t row = 0; row < rows; row++) {
        for (idx_t column = 0; column < columns; column++) {
            char *text = duckdb_value_is_null(result, column, row)
                             ? NULL
                             : duckdb_value_varchar(result, column, row);
            (void)fputs(column == 0 ? "" : ",", stdout);
            if (text != NULL) { /* as in RFC 4180; NULL is empty, an empty text is "" */
                (void)fputc('"', stdout);
                for (const char *at = text; *at != '\0'; at++) {
                    (void)fputs(*at == '"' ? "\"" : "", stdout);
                    (void)fputc(*at, stdout);
                }
                (void)fputc('"', stdout);
            }
            duckdb_free(text);
        }
        (void)fputc('\n', stdout);
    }
}

static bool run(duckdb_connection connection, const char *sql, bool is_timed)
{
    struct timespec begun;
    struct timespec ended;
    duckdb_result result;
    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    bool is_good = duckdb_query(connection, sql, &result) == DuckDBSuccess;
    (void)clock_gettime(CLOCK_MONOTONIC, &ended);
    if (!is_good) {
        (void)fprintf(stderr, "bare_duckdb: %s\n", duckdb_result_error(&result));
    } else if (duckdb_result_return_type(result) == DUCKDB_RESULT_TYPE_QUERY_RESULT) {
        print_rows(&result);
        if (is_timed) {
            (void)fprintf(stderr, "%lld\n",
                          (long long)(ended.tv_sec - begun.tv_sec) * 1000000 +
                              (ended.tv_nsec - begun.tv_nsec) / 1000);
        }
    }
    duckdb_destroy_result(&result);
    return is_good;
}

static bool run_script(duckdb_connection connection, const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return false;
    }
    static char text[1 << 20];
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    char *rest = text;
    for (char *end; (end = strstr(rest, ";\n")) != NULL; rest = end + 2) {
        *end = '\0';
        if (!run(connection, rest, true)) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    bool is_held = argc == 3 && strcmp(argv[1], "--hold") == 0;
    bool is_script = argc == 3 && strcmp(argv[1], "--script") == 0;
    if (argc != 2 && !is_held && !is_script) {
        (void)fputs("bare_duckdb: give SQL, --hold SQL or --script FILE\n", stderr);
        return 2;
    }
    duckdb_database database;
    duckdb_connection connection;
    if (duckdb_open(NULL, &database) != DuckDBSuccess ||
        duckdb_connect(database, &connection) != DuckDBSuccess) {
        (void)fputs("bare_duckdb: the engine cannot be opened\n", stderr);
        return 1;
    }
    bool is_good =
        is_script ? run_script(connection, argv[2]) : run(connection, argv[argc - 1], false);
    (void)fflush(stdout);
    char byte;
    while (is_held && read(STDIN_FILENO, &byte, 1) > 0) {
    }
    duckdb_disconnect(&connection);
    duckdb_close(&database);
    return is_good ? 0 : 1;
}
