/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Below an address space: how many bytes of it could be accessed (the area) and how many VMAs there
 * were (the line), over the same time. Each has its own scale, from nothing to its peak.
 */
#include <inttypes.h>

#include "plot/plot_internal.h"

static double height_at(const struct plot_panel *panel, uint64_t value, uint64_t peak)
{
	double room = panel->chart_bottom - panel->chart_top - 2;
	return peak ? panel->chart_bottom - room * (double)value / (double)peak
		    : panel->chart_bottom;
}

/* Steps from sample to sample; those within half a px are drawn as the highest of them. */
static void put_steps(struct plot *plot, const struct plot_panel *panel, bool vmas)
{
	const struct history_sample *samples = panel->space->samples.items;
	size_t nr = panel->space->samples.length;
	uint64_t peak = vmas ? panel->space->peak_nr_vmas : panel->space->peak_mapped;
	for (size_t i = 0; i < nr;) {
		double x = plot_time_x(&panel->time, samples[i].time);
		uint64_t most = 0;
		size_t end = i;
		while (end < nr && plot_time_x(&panel->time, samples[end].time) < x + 0.5) {
			uint64_t value = vmas ? samples[end].nr_vmas : samples[end].mapped;
			if (value > most)
				most = value;
			end++;
		}
		svg_put(&plot->svg, "H%nV%n", x, height_at(panel, most, peak));
		i = end;
	}
	svg_put(&plot->svg, "H%n", plot->right);
}

static void put_caption(struct plot *plot, double y, const char *class_name, const char *what,
			const char *value)
{
	svg_put(&plot->svg,
		"<text class=\"%s\" x=\"%n\" y=\"%n\" font-size=\"%d\" text-anchor=\"end\">%t"
		"</text>\n",
		class_name, plot->left - 8, y, 9, what);
	svg_put(&plot->svg, "<text class=\"%s\" x=\"%n\" y=\"%n\" font-size=\"10\">%t</text>\n",
		class_name, plot->right + 12, y, value);
}

void plot_chart_draw(struct plot *plot, const struct plot_panel *panel)
{
	const struct history_space *space = panel->space;
	svg_put(&plot->svg, "<path class=\"bytes\" d=\"M%n %n", plot->left, panel->chart_bottom);
	put_steps(plot, panel, false);
	svg_put(&plot->svg, "V%nZ\"/>\n<path class=\"vmas\" d=\"M%n %n", panel->chart_bottom,
		plot->left, panel->chart_bottom);
	put_steps(plot, panel, true);
	svg_put(&plot->svg, "\"/>\n<path class=\"axis\" d=\"M%n %nH%n\"/>\n", plot->left,
		panel->chart_bottom, plot->right);

	char size[32], count[48], text[96];
	plot_text_bytes(space->peak_mapped, size, sizeof(size));
	(void)snprintf(text, sizeof(text), "at most %s mapped", size);
	put_caption(plot, panel->chart_top + 12, "bytesk", "mapped bytes", text);
	plot_text_counted(space->peak_nr_vmas, "VMA", count, sizeof(count));
	(void)snprintf(text, sizeof(text), "at most %s", count);
	put_caption(plot, panel->chart_top + 26, "vmask", "VMAs", text);
}
