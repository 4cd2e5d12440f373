/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * workers.c - a pool of threads.
 *
 * Who calls on them works too, and waits at the end for those that came, not
 * for those that did not wake in time: what there was to do is done.
 */
#include <glean/workers.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/**
 * struct pool - all but @workers and @threads is behind @lock.
 *
 * @work, @arg:	what to call; NULL when there is nothing, or no more.
 * @calls:	how often there was something.
 * @nr_busy:	threads, the caller not counted, that are in @work.
 * @called:	there is work, or all is over. @left: nobody is busy any more.
 */
struct pool {
	struct gln_workers workers;
	pthread_mutex_t lock;
	pthread_cond_t called;
	pthread_cond_t left;
	void (*work)(void *arg);
	void *arg;
	uint64_t calls;
	unsigned int nr_busy;
	bool is_closing;
	pthread_t threads[];
};

static struct pool *pool_of(struct gln_workers *workers)
{
	return (struct pool *)(void *)workers;
}

/* Do what there is to do, once. The lock is held, and dropped meanwhile. */
static void join_in(struct pool *pool)
{
	void (*const work)(void *arg) = pool->work;
	void *const arg = pool->arg;

	pool->nr_busy++;
	pthread_mutex_unlock(&pool->lock);
	work(arg);
	pthread_mutex_lock(&pool->lock);
	if (!--pool->nr_busy)
		pthread_cond_broadcast(&pool->left);
}

static void *wait_for_work(void *arg)
{
	struct pool *const pool = arg;
	uint64_t seen = 0;

	pthread_mutex_lock(&pool->lock);
	while (!pool->is_closing) {
		if (pool->calls == seen || !pool->work) {
			pthread_cond_wait(&pool->called, &pool->lock);
			continue;
		}
		seen = pool->calls;
		join_in(pool);
	}
	pthread_mutex_unlock(&pool->lock);

	return NULL;
}

/* Let the threads have it. False if somebody else's work is under way. */
static bool call(struct pool *pool, void (*work)(void *arg), void *arg)
{
	bool is_ours;

	pthread_mutex_lock(&pool->lock);
	is_ours = !pool->work && !pool->nr_busy;
	if (is_ours) {
		pool->work = work;
		pool->arg = arg;
		pool->calls++;
		pthread_cond_broadcast(&pool->called);
	}
	pthread_mutex_unlock(&pool->lock);

	return is_ours;
}

static void run(struct gln_workers *workers, void (*work)(void *arg), void *arg)
{
	struct pool *const pool = pool_of(workers);
	const bool is_ours = workers->nr_workers > 1 && call(pool, work, arg);

	work(arg);
	if (!is_ours)
		return;

	pthread_mutex_lock(&pool->lock);
	pool->work = NULL;
	while (pool->nr_busy)
		pthread_cond_wait(&pool->left, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

/* End the first @nr threads. */
static void stop(struct pool *pool, unsigned int nr)
{
	pthread_mutex_lock(&pool->lock);
	pool->is_closing = true;
	pthread_cond_broadcast(&pool->called);
	pthread_mutex_unlock(&pool->lock);

	for (unsigned int i = 0; i < nr; i++)
		pthread_join(pool->threads[i], NULL);
}

/*
 * Signals of the process are not for threads that it does not know of. Those of
 * what a thread itself does are: a visit may write memory that is tracked by
 * SIGSEGV, or read a page that is poisoned, and blocked they would kill.
 */
static void block_signals(sigset_t *before)
{
	static const int own[] = {SIGSEGV, SIGBUS,  SIGFPE,
				  SIGILL,  SIGTRAP, SIGSYS};
	sigset_t others;

	sigfillset(&others);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&others, own[i]);
	pthread_sigmask(SIG_SETMASK, &others, before);
}

static int start(struct pool *pool)
{
	const unsigned int nr = pool->workers.nr_workers - 1;
	sigset_t before;
	unsigned int i = 0;

	block_signals(&before);
	while (i < nr &&
	       !pthread_create(&pool->threads[i], NULL, wait_for_work, pool))
		i++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (i == nr)
		return 0;

	stop(pool, i);
	return -EAGAIN;
}

static void destroy(struct pool *pool)
{
	pthread_cond_destroy(&pool->left);
	pthread_cond_destroy(&pool->called);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* On Linux these allocate nothing and do not fail. */
static void init(struct pool *pool)
{
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->called, NULL);
	pthread_cond_init(&pool->left, NULL);
}

int gln_workers_create(unsigned int nr_workers, struct gln_workers **workers)
{
	struct pool *pool;
	int err;

	if (!nr_workers || nr_workers > GLN_WORKERS_MAX)
		return -EINVAL;
	pool = calloc(1, sizeof(*pool) +
				 (nr_workers - 1) * sizeof(pool->threads[0]));
	if (!pool)
		return -ENOMEM;

	pool->workers.nr_workers = nr_workers;
	pool->workers.run = run;
	init(pool);
	err = start(pool);
	if (err)
		destroy(pool);
	else
		*workers = &pool->workers;
	return err;
}

void gln_workers_destroy(struct gln_workers *workers)
{
	struct pool *const pool = pool_of(workers);

	stop(pool, workers->nr_workers - 1);
	destroy(pool);
}
