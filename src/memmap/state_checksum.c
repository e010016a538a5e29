/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C (Castagnoli), the checksum of a saved state.
 */
#include "memmap/state_internal.h"

/* The polynomial with its bits reversed: the lowest bit of a byte is the highest power. */
#define POLYNOMIAL 0x82f63b78

/* What four bits, shifted out, leave behind. */
static uint32_t shifted_out(uint32_t bits)
{
	for (int i = 0; i < 4; i++)
		bits = bits >> 1 ^ (bits & 1 ? POLYNOMIAL : 0);
	return bits;
}

uint32_t memmap_state_checksum(const unsigned char *bytes, size_t len)
{
	uint32_t table[16];
	for (uint32_t i = 0; i < 16; i++)
		table[i] = shifted_out(i);

	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}
