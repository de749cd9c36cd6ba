/* The standard descriptors of a program. */
#ifndef BASE_STANDARD_H
#define BASE_STANDARD_H

/* 0, 1 and 2 exist from now on: otherwise the first files opened would be taken for them. Those that were closed cannot be used: to read
 * or to write is an error, as it was. For the beginning of main. */
void standard_open(void);

#endif
