/* The floor of durable writes: SQLite alone, committing the same rows in batches of the same size,
 * set up as the panel sets it up.
 *
 *   floor-store DATABASE BATCH SECONDS     one line: commits and rows a second
 *
 * DATABASE is a panel's, with images in it: rows like the last of them are added. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void must(sqlite3 *db, int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
        return;
    fprintf(stderr, "floor-store: %s\n", sqlite3_errmsg(db));
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: floor-store DATABASE BATCH SECONDS\n");
        return 2;
    }
    sqlite3 *db = NULL;
    sqlite3_stmt *begin = NULL;
    sqlite3_stmt *insert = NULL;
    sqlite3_stmt *commit = NULL;
    int batch = atoi(argv[2]);
    long rows = 0;
    long commits = 0;
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    must(db, sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
    must(db, sqlite3_exec(db,
                          "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                          "PRAGMA foreign_keys=ON; PRAGMA cache_size=-4096",
                          NULL, NULL, NULL));
    must(db, sqlite3_prepare_v2(db, "BEGIN IMMEDIATE", -1, &begin, NULL));
    must(db, sqlite3_prepare_v2(db,
                                "INSERT INTO images(id, name, body, created_at)"
                                " SELECT ?1, ?1, body, created_at FROM images"
                                " WHERE seq = (SELECT min(seq) FROM images)",
                                -1, &insert, NULL));
    must(db, sqlite3_prepare_v2(db, "COMMIT", -1, &commit, NULL));
    double from = now();
    double until = from + atof(argv[3]);
    while (now() < until) {
        must(db, sqlite3_step(begin));
        sqlite3_reset(begin);
        for (int i = 0; i < batch; i++) {
            char id[40];
            snprintf(id, sizeof(id), "floor-%016lx-%08d", (unsigned long)(from * 1e6), (int)rows++);
            sqlite3_bind_text(insert, 1, id, -1, SQLITE_STATIC);
            must(db, sqlite3_step(insert));
            sqlite3_reset(insert);
        }
        must(db, sqlite3_step(commit));
        sqlite3_reset(commit);
        commits++;
    }
    double seconds = now() - from;
    printf("%.1f %.1f\n", (double)commits / seconds, (double)rows / seconds);
    return 0;
}
