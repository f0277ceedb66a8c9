/* The board. See board.h. One mutex: what is copied under it is small and fixed in size. */
#include "panel/fleet/board.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A failed table growth is reported, not fatal. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
    char id[65];
    struct node_live live;
    UT_hash_handle hh;
};

struct board {
    pthread_mutex_t lock;
    struct entry *entries;
    _Atomic uint64_t version;
    _Atomic uint64_t status_version;
};

int board_create(struct board **ret_board, struct err *err)
{
    struct board *board = calloc(1, sizeof(*board));
    if (!board)
        return err_nomem(err);
    pthread_mutex_init(&board->lock, NULL);
    atomic_init(&board->version, 1);
    atomic_init(&board->status_version, 1);
    *ret_board = board;
    return 0;
}

void board_destroy(struct board *board)
{
    if (!board)
        return;
    struct entry *entry;
    struct entry *next;
    HASH_ITER(hh, board->entries, entry, next)
    {
        HASH_DEL(board->entries, entry);
        free(entry);
    }
    pthread_mutex_destroy(&board->lock);
    free(board);
}

bool board_get(struct board *board, const char *node_id, struct node_live *ret_live)
{
    struct entry *entry;
    pthread_mutex_lock(&board->lock);
    HASH_FIND_STR(board->entries, node_id, entry);
    if (entry)
        *ret_live = entry->live;
    pthread_mutex_unlock(&board->lock);
    if (!entry)
        *ret_live = (struct node_live){.status = NODE_UNCONFIGURED};
    return entry != NULL;
}

static struct entry *add_entry(struct board *board, const char *node_id)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    snprintf(entry->id, sizeof(entry->id), "%s", node_id);
    HASH_ADD_STR(board->entries, id, entry);
    if (!entry->hh.tbl) { /* uthash's sign that the table could not take it */
        free(entry);
        return NULL;
    }
    return entry;
}

int board_put(struct board *board, const char *node_id, const struct node_live *live,
              struct err *err)
{
    struct entry *entry;
    bool status_changed = false;
    pthread_mutex_lock(&board->lock);
    HASH_FIND_STR(board->entries, node_id, entry);
    if (!entry) {
        entry = add_entry(board, node_id);
        status_changed = true;
    }
    if (entry) {
        status_changed |= entry->live.status != live->status;
        entry->live = *live;
    }
    pthread_mutex_unlock(&board->lock);
    if (!entry)
        return err_nomem(err);
    if (status_changed)
        atomic_fetch_add(&board->status_version, 1);
    atomic_fetch_add(&board->version, 1);
    return 0;
}

void board_remove(struct board *board, const char *node_id)
{
    struct entry *entry;
    pthread_mutex_lock(&board->lock);
    HASH_FIND_STR(board->entries, node_id, entry);
    if (entry)
        HASH_DEL(board->entries, entry);
    pthread_mutex_unlock(&board->lock);
    free(entry);
    atomic_fetch_add(&board->status_version, 1);
    atomic_fetch_add(&board->version, 1);
}

uint64_t board_version(struct board *board)
{
    return atomic_load(&board->version);
}

uint64_t board_status_version(struct board *board)
{
    return atomic_load(&board->status_version);
}

const char *node_status_name(enum node_status status)
{
    static const char *const names[] = {
        [NODE_UNCONFIGURED] = "Unconfigured", [NODE_ONLINE] = "Online",
        [NODE_SUSPECT] = "Suspect",           [NODE_OFFLINE] = "Offline",
        [NODE_MAINTENANCE] = "Maintenance",
    };
    return names[status];
}
