/* A race, planted, so that tests/tsan can tell that it would find one: two threads and no lock. */
#include <pthread.h>

static int counter;

static void *bump(void *arg)
{
    for (int i = 0; i < 1000; i++)
        counter++;
    return arg;
}

int main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, bump, NULL) != 0)
        return 1;
    bump(NULL);
    pthread_join(thread, NULL);
    return counter == 0;
}
