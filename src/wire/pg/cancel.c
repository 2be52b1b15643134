/* Cancel keys: whoever shows a connection's number and secret may cancel what it runs. */
#include "base/hash.h"
#include "wire/pg/pg_int.h"

/* With the lock held. */
static struct pg_key *find(const struct pg_server *server, uint32_t process_id)
{
    struct pg_key *key = server->keys[process_id % KEY_SLOTS];
    while (key != NULL && key->process_id != process_id) {
        key = key->next;
    }
    return key;
}

enum err pg__key_add(struct pg_connection *connection, struct errinfo *info)
{
    struct pg_server *server = connection->server;
    struct pg_key *key = &connection->key;
    if (random_bytes(key->secret, sizeof(key->secret)) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    key->connection = connection;
    key->secret_len = connection->minor >= 2 ? KEY_BYTES : 4;
    key->process_id = client_id(connection->client);
    pthread_mutex_lock(&server->lock);
    struct pg_key **slot = &server->keys[key->process_id % KEY_SLOTS];
    key->next = *slot;
    *slot = key;
    pthread_mutex_unlock(&server->lock);
    connection->has_key = true;
    return ERR_OK;
}

void pg__key_remove(struct pg_connection *connection)
{
    struct pg_server *server = connection->server;
    if (!connection->has_key) {
        return;
    }
    pthread_mutex_lock(&server->lock);
    struct pg_key **link = &server->keys[connection->key.process_id % KEY_SLOTS];
    while (*link != &connection->key) {
        link = &(*link)->next;
    }
    *link = connection->key.next;
    pthread_mutex_unlock(&server->lock);
    connection->has_key = false;
}

/* The connection cannot go while the lock is held: its key must be removed first. */
void pg__key_cancel(struct pg_server *server, uint32_t process_id, struct slice secret)
{
    pthread_mutex_lock(&server->lock);
    struct pg_key *key = find(server, process_id);
    if (key != NULL && secret.len == key->secret_len &&
        hash_equal(secret.ptr, key->secret, secret.len)) {
        struct pg_connection *connection = key->connection;
        pthread_mutex_lock(&connection->cancel_lock);
        if (connection->active != NULL) {
            session_cancel(connection->active);
        }
        pthread_mutex_unlock(&connection->cancel_lock);
    }
    pthread_mutex_unlock(&server->lock);
}
