#include <stdio.h>

#include "moat.h"

static int fail(const char *what, const struct moat_error *error)
{
    fprintf(stderr, "%s: %s (%s)\n", what, error->message, error->sqlstate);
    if (error->hint[0] != '\0') {
        fprintf(stderr, "hint: %s\n", error->hint);
    }
    return 1;
}

/* Totals of what this person may see. */
static int show(struct moat_session *session, int64_t least)
{
    const char *sql = "SELECT count(*), sum(amount) FROM orders WHERE amount >= $1";
    struct moat_statement *statement;
    struct moat_error error;
    if (moat_prepare(session, sql, &statement, &error) != MOAT_OK) {
        return fail("prepare", &error);
    }
    struct ArrowArrayStream rows;
    struct ArrowArray batch = {0};
    if (moat_bind_int64(statement, 1, least, &error) != MOAT_OK ||
        moat_execute(statement, &rows, NULL, &error) != MOAT_OK) {
        moat_statement_close(statement);
        return fail("execute", &error);
    }
    moat_statement_close(statement); /* the rows go on without it */
    while (rows.get_next(&rows, &batch) == 0 && batch.release != NULL) {
        const int64_t *counts = batch.children[0]->buffers[1];
        printf("%s: %lld orders\n", moat_session_user(session), (long long)counts[0]);
        batch.release(&batch);
    }
    int code = moat_stream_error(&rows, &error) ? fail("rows", &error) : 0;
    rows.release(&rows);
    return code;
}

int main(int argc, char **argv)
{
    struct moat_database *database;
    struct moat_session *owner, *amelia;
    struct moat_error error;
    if (argc != 4) {
        fprintf(stderr, "usage: example WAREHOUSE USER PASSWORD\n");
        return 2;
    }
    if (moat_open(argv[1], NULL, &database, &error) != MOAT_OK) {
        return fail("open", &error);
    }
    if (moat_sign_in_local(database, NULL, &owner, &error) != MOAT_OK ||
        moat_sign_in_password(database, argv[2], argv[3], &amelia, &error) != MOAT_OK) {
        return fail("sign in", &error);
    }
    int code = show(owner, 10);
    code = code != 0 ? code : show(amelia, 10);
    moat_session_close(amelia);
    moat_session_close(owner);
    moat_close(database);
    return code;
}
