/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of a sequence: X(name, how many arguments). README.md says what each does.
 */
#ifndef MEMMAP_TESTS_REFERENCE_OPERATIONS_H
#define MEMMAP_TESTS_REFERENCE_OPERATIONS_H

#define OPERATIONS_MAX_ARGS 5

/* Of every kind of set. */
/* clang-format off */
#define OPERATIONS_OF_SETS(X) \
	X(add, 3) X(addwm, 3) X(insert, 3) X(insertwm, 3) X(insertraw, 3) X(insertrange, 3) \
	X(tryinsert, 3) \
	X(remove, 1) X(take, 1) X(removerange, 2) X(removefull, 2) X(removeall, 0) \
	X(merge, 2) X(mergeraw, 1) X(mergeprev, 1) X(mergenext, 1) X(unisolate, 1) \
	X(mergeadj, 2) X(mergeout, 2) X(mergerange, 2) X(mergein, 2) X(mergeall, 0) \
	X(split, 2) X(splitraw, 2) X(splitat, 1) X(splitbefore, 2) X(splitafter, 2) X(isolate, 3) \
	X(apply, 3) X(visit, 3) X(visitfull, 3) X(mutate, 3) X(mutatefull, 3) \
	X(exim, 0) X(importbad, 2) X(movefrom, 0) X(reserve, 1) \
	X(span, 0) X(spanrange, 2) X(empty, 0) X(emptyrange, 2) \
	X(first, 0) X(last, 0) X(firstgap, 0) X(lastgap, 0) \
	X(find, 1) X(findseg, 1) X(findgap, 1) X(lb, 1) X(ub, 1) X(lbg, 1) X(ubg, 1) \
	X(setvalue, 2) X(valueptr, 2) \
	X(setstart, 2) X(setend, 2) X(setrange, 3) \
	X(setstartraw, 2) X(setendraw, 2) X(setrangeraw, 3) \
	X(walk, 2) X(equal, 2) X(equalgap, 2) \
	X(nextlarge, 2) X(prevlarge, 2) X(firstlarge, 1) X(lastlarge, 1) X(lblarge, 2) \
	X(ublarge, 2) \
	X(text, 0) X(dump, 0)

/* Of the mapping set alone. */
#define OPERATIONS_OF_MAPPING_SETS(X) \
	X(map, 5) X(unmap, 5) X(inval, 3) X(invalall, 1) X(has, 2)
/* clang-format on */

#define OPERATIONS(X) OPERATIONS_OF_SETS(X) OPERATIONS_OF_MAPPING_SETS(X)

enum operation_code {
#define OPERATION_CODE(name, nr_args) OP_##name,
	OPERATIONS(OPERATION_CODE)
#undef OPERATION_CODE
		NR_OPERATIONS
};

#endif /* MEMMAP_TESTS_REFERENCE_OPERATIONS_H */
