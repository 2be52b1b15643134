/* The driver's entry point, and databases: a warehouse and who asks. */
#include "base/buf.h"
#include "base/mem.h"
#include "embed/adbc_int.h"

#define SETTING_PREFIX "adbc.moat.set."
#define SETTINGS_MAX 200u

struct adbc_database {
    struct adbc_options options;
    struct moat_database *database; /* NULL until it was opened */
};

static AdbcStatusCode no_memory(struct AdbcError *error)
{
    return adbc__error(ADBC_STATUS_INTERNAL, "53200", error, "out of memory");
}

static AdbcStatusCode database_new(struct AdbcDatabase *database, struct AdbcError *error)
{
    database->private_data = mem_calloc(1, sizeof(struct adbc_database));
    return database->private_data == NULL ? no_memory(error) : ADBC_STATUS_OK;
}

static AdbcStatusCode database_release(struct AdbcDatabase *database, struct AdbcError *error)
{
    struct adbc_database *own = database->private_data;
    if (own == NULL) {
        return adbc__error(ADBC_STATUS_INVALID_STATE, "08003", error, "the database is closed");
    }
    adbc__options_fini(&own->options);
    moat_close(own->database);
    mem_free(own);
    database->private_data = NULL;
    return ADBC_STATUS_OK;
}

static bool is_known(const char *name)
{
    static const char *const names[] = {
        ADBC_OPTION_URI,   "path",         ADBC_OPTION_USERNAME, ADBC_OPTION_PASSWORD,
        "adbc.moat.token", "adbc.moat.as", "adbc.moat.create",   "adbc.moat.refresh_token"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return strncmp(name, SETTING_PREFIX, strlen(SETTING_PREFIX)) == 0;
}

static AdbcStatusCode database_set(struct AdbcDatabase *database, const char *name,
                                   const char *value, struct AdbcError *error)
{
    struct adbc_database *own = database->private_data;
    if (!is_known(name)) {
        return adbc__error(ADBC_STATUS_NOT_IMPLEMENTED, "42704", error,
                           "\"%s\" is no option of a database", name);
    }
    if (own->database != NULL) {
        return adbc__error(ADBC_STATUS_INVALID_STATE, "55006", error,
                           "option \"%s\" is for a database that is not open yet", name);
    }
    return adbc__options_set(&own->options, name, value) ? ADBC_STATUS_OK : no_memory(error);
}

static AdbcStatusCode database_get(struct AdbcDatabase *database, const char *name, char *value,
                                   size_t *length, struct AdbcError *error)
{
    struct adbc_database *own = database->private_data;
    bool is_secret = strcmp(name, ADBC_OPTION_PASSWORD) == 0 || strstr(name, "token") != NULL;
    const char *text = is_secret ? NULL : adbc__options_get(&own->options, name);
    return adbc__give_text(name, text, value, length, error);
}

/* A path as it is, or file:///path. */
static const char *path_of(const struct adbc_options *options)
{
    const char *path = adbc__options_get(options, "path");
    path = path != NULL ? path : adbc__options_get(options, ADBC_OPTION_URI);
    return path != NULL && strncmp(path, "file://", 7) == 0 ? path + 7 : path;
}

static AdbcStatusCode database_init(struct AdbcDatabase *database, struct AdbcError *error)
{
    struct adbc_database *own = database->private_data;
    const char *settings[SETTINGS_MAX + 2] = {0};
    char *copies[SETTINGS_MAX] = {0};
    size_t count = 0;
    struct moat_error why;
    enum moat_status status = MOAT_NO_MEMORY;
    const char *create = adbc__options_get(&own->options, "adbc.moat.create");
    for (size_t i = 0; i < own->options.count && count < SETTINGS_MAX; i++) {
        const struct adbc_option *option = &own->options.items[i];
        if (strncmp(option->name, SETTING_PREFIX, strlen(SETTING_PREFIX)) == 0) {
            struct buf text = {0};
            buf_printf(&text, "%s=%s", option->name + strlen(SETTING_PREFIX), option->value);
            copies[count] = buf_take(&text);
            if (copies[count] == NULL) {
                break;
            }
            settings[count] = copies[count];
            count++;
        }
    }
    if (create != NULL && strcmp(create, "true") == 0) {
        settings[count] = "warehouse.create=true";
    }
    status = moat_open(path_of(&own->options), settings, &own->database, &why);
    for (size_t i = 0; i < count; i++) {
        mem_free(copies[i]);
    }
    return status == MOAT_OK ? ADBC_STATUS_OK : adbc__fail(&why, error);
}

/* ---- options of other types ---- */

static AdbcStatusCode no_such(const char *name, struct AdbcError *error)
{
    return adbc__error(ADBC_STATUS_NOT_FOUND, "42704", error, "\"%s\" is no option of that type",
                       name);
}

static AdbcStatusCode not_settable(const char *name, struct AdbcError *error)
{
    return adbc__error(ADBC_STATUS_NOT_IMPLEMENTED, "42704", error,
                       "\"%s\" is no option of that type", name);
}

/* Options that are no texts: there are none, for what takes them. */
#define NO_OPTIONS(prefix, type)                                                                   \
    static AdbcStatusCode prefix##_get_bytes(UNUSED struct type *object, const char *name,         \
                                             UNUSED uint8_t *value, UNUSED size_t *length,         \
                                             struct AdbcError *error)                              \
    {                                                                                              \
        return no_such(name, error);                                                               \
    }                                                                                              \
    static AdbcStatusCode prefix##_get_double(UNUSED struct type *object, const char *name,        \
                                              UNUSED double *value, struct AdbcError *error)       \
    {                                                                                              \
        return no_such(name, error);                                                               \
    }                                                                                              \
    static AdbcStatusCode prefix##_get_int(UNUSED struct type *object, const char *name,           \
                                           UNUSED int64_t *value, struct AdbcError *error)         \
    {                                                                                              \
        return no_such(name, error);                                                               \
    }                                                                                              \
    static AdbcStatusCode prefix##_set_bytes(UNUSED struct type *object, const char *name,         \
                                             UNUSED const uint8_t *value, UNUSED size_t length,    \
                                             struct AdbcError *error)                              \
    {                                                                                              \
        return not_settable(name, error);                                                          \
    }                                                                                              \
    static AdbcStatusCode prefix##_set_double(UNUSED struct type *object, const char *name,        \
                                              UNUSED double value, struct AdbcError *error)        \
    {                                                                                              \
        return not_settable(name, error);                                                          \
    }                                                                                              \
    static AdbcStatusCode prefix##_set_int(UNUSED struct type *object, const char *name,           \
                                           UNUSED int64_t value, struct AdbcError *error)          \
    {                                                                                              \
        return not_settable(name, error);                                                          \
    }

NO_OPTIONS(database, AdbcDatabase)
NO_OPTIONS(connection, AdbcConnection)
NO_OPTIONS(statement, AdbcStatement)

static void fill_options(struct AdbcDriver *driver)
{
    driver->DatabaseGetOptionBytes = database_get_bytes;
    driver->DatabaseGetOptionDouble = database_get_double;
    driver->DatabaseGetOptionInt = database_get_int;
    driver->DatabaseSetOptionBytes = database_set_bytes;
    driver->DatabaseSetOptionDouble = database_set_double;
    driver->DatabaseSetOptionInt = database_set_int;
    driver->ConnectionGetOptionBytes = connection_get_bytes;
    driver->ConnectionGetOptionDouble = connection_get_double;
    driver->ConnectionGetOptionInt = connection_get_int;
    driver->ConnectionSetOptionBytes = connection_set_bytes;
    driver->ConnectionSetOptionDouble = connection_set_double;
    driver->ConnectionSetOptionInt = connection_set_int;
    driver->StatementGetOptionBytes = statement_get_bytes;
    driver->StatementGetOptionDouble = statement_get_double;
    driver->StatementGetOptionInt = statement_get_int;
    driver->StatementSetOptionBytes = statement_set_bytes;
    driver->StatementSetOptionDouble = statement_set_double;
    driver->StatementSetOptionInt = statement_set_int;
}

/* ---- the driver ---- */

void adbc__fill_database(struct AdbcDriver *driver)
{
    driver->DatabaseNew = database_new;
    driver->DatabaseInit = database_init;
    driver->DatabaseSetOption = database_set;
    driver->DatabaseGetOption = database_get;
    driver->DatabaseRelease = database_release;
    fill_options(driver);
}

static AdbcStatusCode driver_release(struct AdbcDriver *driver, UNUSED struct AdbcError *error)
{
    driver->release = NULL;
    return ADBC_STATUS_OK;
}

AdbcStatusCode AdbcDriverInit(int version, void *driver, struct AdbcError *error)
{
    if (version != ADBC_VERSION_1_0_0 && version != ADBC_VERSION_1_1_0) {
        return adbc__error(ADBC_STATUS_NOT_IMPLEMENTED, "0A000", error,
                           "ADBC %d is not known here, but 1.0.0 and 1.1.0 are", version);
    }
    /* A caller of 1.0 has less room. */
    struct AdbcDriver table = {.release = driver_release,
                               .ErrorGetDetailCount = adbc__detail_count,
                               .ErrorGetDetail = adbc__detail,
                               .ErrorFromArrayStream = adbc__stream_error};
    adbc__fill_database(&table);
    adbc__fill_connection(&table);
    adbc__fill_objects(&table);
    adbc__fill_statement(&table);
    memcpy(driver, &table,
           version == ADBC_VERSION_1_0_0 ? ADBC_DRIVER_1_0_0_SIZE : sizeof(struct AdbcDriver));
    return ADBC_STATUS_OK;
}

AdbcStatusCode AdbcMoatInit(int version, void *driver, struct AdbcError *error)
{
    return AdbcDriverInit(version, driver, error);
}

/* ---- signing in ---- */

enum moat_status adbc__sign_in(struct AdbcDatabase *database, struct moat_session **ret_session,
                               struct moat_error *error)
{
    struct adbc_database *own = database->private_data;
    const struct adbc_options *options = &own->options;
    const char *token = adbc__options_get(options, "adbc.moat.token");
    const char *user = adbc__options_get(options, ADBC_OPTION_USERNAME);
    const char *password = adbc__options_get(options, ADBC_OPTION_PASSWORD);
    if (token != NULL) {
        return moat_sign_in_token(own->database, token,
                                  adbc__options_get(options, "adbc.moat.refresh_token"),
                                  ret_session, error);
    }
    if (user != NULL || password != NULL) {
        return moat_sign_in_password(own->database, user, password, ret_session, error);
    }
    return moat_sign_in_local(own->database, adbc__options_get(options, "adbc.moat.as"),
                              ret_session, error);
}
