/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zipf.c - Zipf's law by rejection inversion (Hoermann and Derflinger, 1996).
 *
 * Draw a point under the curve x^-theta by inverting its integral, and round
 * it to a rank. The curve over a rank's column holds more than the column
 * itself; points in the surplus, a few in a hundred, are drawn again.
 */
#include "bench/glean/zipf.h"

#include <math.h>
#include <stdbool.h>

#include "bench/glean/random.h"

static double height(const struct zipf *zipf, double x)
{
	return exp(-zipf->theta * log(x));
}

/* Area under the curve from 1 to @x; expm1 keeps theta close to 1 exact. */
static double area(const struct zipf *zipf, double x)
{
	const double exponent = 1 - zipf->theta;

	return expm1(exponent * log(x)) / exponent;
}

static double area_inverse(const struct zipf *zipf, double a)
{
	const double exponent = 1 - zipf->theta;

	return exp(log1p(a * exponent) / exponent);
}

void zipf_init(struct zipf *zipf, uint64_t n, double theta)
{
	*zipf = (struct zipf){.n = (double)n, .theta = theta};
	zipf->area_low = area(zipf, 1.5) - height(zipf, 1);
	zipf->area_high = area(zipf, zipf->n + 0.5);
	zipf->sure = 2 - area_inverse(zipf, area(zipf, 2.5) - height(zipf, 2));
}

static double to_rank(const struct zipf *zipf, double x)
{
	const double rank = floor(x + 0.5);

	if (rank < 1)
		return 1;
	return rank > zipf->n ? zipf->n : rank;
}

uint64_t zipf_next(const struct zipf *zipf, uint64_t *random)
{
	const double span = zipf->area_low - zipf->area_high;

	while (true) {
		const double a = zipf->area_high + random_unit(random) * span;
		const double x = area_inverse(zipf, a);
		const double rank = to_rank(zipf, x);

		if (rank - x <= zipf->sure ||
		    a >= area(zipf, rank + 0.5) - height(zipf, rank))
			return (uint64_t)rank;
	}
}
