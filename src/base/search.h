/* Binary search. */
#ifndef BASE_SEARCH_H
#define BASE_SEARCH_H

/* The first i of 0 … count - 1 for which `before`, an expression in i, does not hold; count where it holds for all. Those for
 * which it holds come first. */
#define PARTITION_POINT(i, count, before)                                                          \
	({                                                                                         \
		__typeof__((count) + 0) lo_ = 0, hi_ = (count);                                    \
		while (lo_ < hi_) {                                                                \
			__typeof__((count) + 0) i = lo_ + (hi_ - lo_) / 2;                         \
			if (before)                                                                \
				lo_ = i + 1;                                                       \
			else                                                                       \
				hi_ = i;                                                           \
		}                                                                                  \
		lo_;                                                                               \
	})

#endif
