/* picture.c - results as a picture: for each work the share of the floor that each participant reaches.
 *
 * A longer bar is faster. The line at 100 % is the floor itself, which nobody can pass but by an error of measurement.
 */
#include "result.h"

enum { LEFT = 330, AXIS = 560, BAR = 9, GAP = 10, TOP = 76, WIDTH = LEFT + AXIS + 150 };

static const char *const colours[1 + PEER_COUNT] = {"#1a5fb4", "#e5a50a", "#c64600", "#813d9c", "#63452c", "#5e5c64"};

static void write_escaped(FILE *file, const char *text) {
  for (; *text; text++) {
    if (*text == '<') fputs("&lt;", file);
    else if (*text == '&') fputs("&amp;", file);
    else fputc(*text, file);
  }
}

static double bar_length(double share) { return AXIS / 1.25 * (share > 1.25 ? 1.25 : share); }

static int draw_bar(FILE *file, const Result *result, const Times *times, const char *colour, int y) {
  if (!times->count) return y;
  char text[32];
  double share = result->floor.ms / times->median, length = bar_length(share);
  fprintf(file, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", LEFT, y, length < 1 ? 1 : length, BAR - 1,
          colour);
  fprintf(file, "<text x=\"%.1f\" y=\"%d\" class=\"v\">%s ms, %.2g %%</text>\n", LEFT + length + 4, y + BAR - 1,
          short_number(times->median, text, sizeof text), 100 * share);
  return y + BAR;
}

static int draw_group(FILE *file, const Result *result, int y) {
  fprintf(file, "<text x=\"%d\" y=\"%d\" class=\"w\">", LEFT - 8, y + BAR);
  write_escaped(file, result->work->name);
  fprintf(file, ", %d thr</text>\n", result->threads);
  y = draw_bar(file, result, &result->own, colours[0], y);
  for (int peer = 0; peer < PEER_COUNT; peer++) y = draw_bar(file, result, &result->peers[peer], colours[1 + peer], y);
  return y + GAP;
}

static int group_height(const Result *result) {
  int bars = result->own.count > 0;
  for (int peer = 0; peer < PEER_COUNT; peer++) bars += result->peers[peer].count > 0;
  return result->floor.ms > 0 && bars ? bars * BAR + GAP : 0;
}

static void draw_axis(FILE *file, int height) {
  for (int percent = 0; percent <= 100; percent += 25) {
    double x = LEFT + bar_length(percent / 100.0);
    fprintf(file, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"%s\"/>\n", x, x, TOP - 10, height - 10,
            percent == 100 ? "#c01c28" : "#ddd");
    fprintf(file, "<text x=\"%.1f\" y=\"%d\" class=\"a\">%s%d %%</text>\n", x, TOP - 16, percent == 100 ? "floor, " : "",
            percent);
  }
}

void report_picture(FILE *file, const Result *results, int count, const char *machine) {
  int height = TOP + 10;
  for (int n = 0; n < count; n++) height += group_height(&results[n]);
  fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\">\n", WIDTH,
          height);
  fprintf(file, "<style>.v{font-size:8px;fill:#333}.w{font-size:10px;text-anchor:end}.a{font-size:10px;text-anchor:middle;fill:#"
                "555}.k{font-size:12px}</style>\n");
  fprintf(file,
          "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"12\" y=\"22\" class=\"k\">Share of the floor, ");
  write_escaped(file, machine);
  fprintf(file, "</text>\n");
  int x = 12;
  for (int n = 0; n <= PEER_COUNT; n++, x += 110) {
    fprintf(file, "<rect x=\"%d\" y=\"32\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%d\" y=\"42\" class=\"k\">", x,
            colours[n], x + 16);
    write_escaped(file, n ? peer_names[n - 1] : "seqc");
    fprintf(file, "</text>\n");
  }
  draw_axis(file, height);
  for (int n = 0, y = TOP; n < count; n++)
    if (group_height(&results[n])) y = draw_group(file, &results[n], y);
  fprintf(file, "</svg>\n");
}
