/* Images (templates) in the store: a name, an id, and the whole document as text. */
#include "panel/store/internal.h"

static int give_row(struct stmt *stmt, store_image_fn fn, void *arg, struct err *err)
{
    struct image image = {
        .id = db_text(stmt, 0), .name = db_text(stmt, 1), .body = db_text(stmt, 2)};
    return fn(&image, arg, err);
}

int store_image_list(struct store *store, struct store_page *page, store_image_fn fn, void *arg,
                     struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt =
        db ? db_stmt(db, "SELECT id, name, body, seq FROM images WHERE seq > ?1 ORDER BY seq", err)
           : NULL;
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, page->after);
    page->next = 0;
    int64_t last = 0;
    uint32_t count = 0;
    int rc;
    while ((rc = db_step(stmt, err)) > 0) {
        if (page->limit && count == page->limit) {
            page->next = last;
            break;
        }
        if (give_row(stmt, fn, arg, err) < 0) {
            rc = -1;
            break;
        }
        last = db_int(stmt, 3);
        count++;
    }
    db_end(stmt);
    return rc < 0 ? -1 : 0;
}

int store_image_find(struct store *store, const char *name, store_image_fn fn, void *arg,
                     struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt =
        db ? db_stmt(db, "SELECT id, name, body FROM images WHERE name = ?1", err) : NULL;
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, name);
    int rc = db_step(stmt, err);
    if (rc > 0 && give_row(stmt, fn, arg, err) < 0)
        rc = -1;
    db_end(stmt);
    return rc;
}

int store_image_create(struct store_tx *tx, const struct image *image, struct err *err)
{
    int rc = store_exists(tx->db, "SELECT 1 FROM images WHERE id = ?1", image->id, err);
    if (rc > 0)
        return err_field(err, ERR_CONFLICT, "image_exists", "Id", "Id \"%.64s\" is taken",
                         image->id);
    if (rc == 0)
        rc = store_exists(tx->db, "SELECT 1 FROM images WHERE name = ?1", image->name, err);
    if (rc > 0)
        return err_field(err, ERR_CONFLICT, "image_exists", "Name",
                         "an image named \"%.128s\" exists already", image->name);
    struct stmt *stmt =
        rc < 0
            ? NULL
            : db_stmt(tx->db,
                      "INSERT INTO images(id, name, body, created_at) VALUES(?1, ?2, ?3, ?4)", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, image->id);
    db_bind_text(stmt, 2, image->name);
    db_bind_text(stmt, 3, image->body);
    db_bind_int(stmt, 4, tx->now);
    tx_touch(tx, STORE_IMAGES);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_image_delete(struct store_tx *tx, const char *id, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db, "DELETE FROM images WHERE id = ?1", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    int changed = db_run(stmt, err);
    if (changed == 0)
        return store_no_such("image", "id", id, err);
    tx_touch(tx, STORE_IMAGES);
    return changed < 0 ? -1 : 0;
}
