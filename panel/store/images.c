/* Images (templates) in the store: a name, an id, and the whole document as text. */
#include "panel/store/internal.h"

static int give_row(struct stmt *stmt, store_image_fn fn, void *arg, struct err *err)
{
    struct image image = {
        .id = db_text(stmt, 0), .name = db_text(stmt, 1), .body = db_text(stmt, 2)};
    return fn(&image, arg, err);
}

/* Ends stmt. */
static int give_one(struct stmt *stmt, store_image_fn fn, void *arg, struct err *err)
{
    int rc = stmt ? db_step(stmt, err) : -1;
    if (rc > 0 && give_row(stmt, fn, arg, err) < 0)
        rc = -1;
    if (stmt)
        db_end(stmt);
    return rc;
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
    struct page_walk walk = {.page = page, .seq = 3};
    int rc;
    while ((rc = page_step(&walk, stmt, err)) > 0) {
        if (give_row(stmt, fn, arg, err) < 0) {
            rc = -1;
            break;
        }
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
    return give_one(stmt, fn, arg, err);
}

static struct stmt *select_by_id(struct db *db, const char *id, struct err *err)
{
    struct stmt *stmt = db_stmt(db, "SELECT id, name, body FROM images WHERE id = ?1", err);
    if (stmt)
        db_bind_text(stmt, 1, id);
    return stmt;
}

int store_image_get(struct store *store, const char *id, store_image_fn fn, void *arg,
                    struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    return db ? give_one(select_by_id(db, id, err), fn, arg, err) : -1;
}

int store_image_see(struct store_tx *tx, const char *id, store_image_fn fn, void *arg,
                    struct err *err)
{
    int rc = give_one(select_by_id(tx->db, id, err), fn, arg, err);
    return rc == 0 ? store_no_such("image", "id", id, err) : rc;
}

static int name_is_taken(const char *name, struct err *err)
{
    return err_field(err, ERR_CONFLICT, "image_exists", "Name",
                     "an image named \"%.128s\" exists already", name);
}

int store_image_change(struct store_tx *tx, const struct image *image, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db, "SELECT 1 FROM images WHERE name = ?1 AND id <> ?2", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, image->name);
    db_bind_text(stmt, 2, image->id);
    int rc = db_step(stmt, err);
    db_end(stmt);
    if (rc)
        return rc < 0 ? -1 : name_is_taken(image->name, err);
    stmt = db_stmt(tx->db, "UPDATE images SET name = ?2, body = ?3 WHERE id = ?1", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, image->id);
    db_bind_text(stmt, 2, image->name);
    db_bind_text(stmt, 3, image->body);
    tx_touch(tx, STORE_IMAGES);
    return db_run(stmt, err) < 0 ? -1 : 0;
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
        return name_is_taken(image->name, err);
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

int store_image_check_unused(struct store_tx *tx, const char *id, struct err *err)
{
    if (store_must_exist(tx->db, "SELECT 1 FROM images WHERE id = ?1", "image", "id", id, err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(
        tx->db, "SELECT count(*) FROM instances WHERE template_id = ?1 AND phase <> ?2", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, PHASE_DELETING);
    int rc = db_step(stmt, err);
    int64_t count = rc > 0 ? db_int(stmt, 0) : 0;
    db_end(stmt);
    if (rc < 0 || !count)
        return rc < 0 ? -1 : 0;
    return err_field(err, ERR_CONFLICT, "image_in_use", "id",
                     "%lld instance%s made from this image; they keep their own copy of it, so send"
                     " \"force\": true to delete it all the same",
                     (long long)count, count == 1 ? " was" : "s were");
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
