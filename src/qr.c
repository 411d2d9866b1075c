#include "qr.h"

#include "config.h"

#ifdef HAVE_QRENCODE

#include <qrencode.h>

/* ISO/IEC 18004: a margin of four light modules on every side. */
#define MARGIN 4

static int
is_dark(const QRcode *qr, int x, int y)
{
	return x >= 0 && y >= 0 && x < qr->width && y < qr->width &&
	       (qr->data[y * qr->width + x] & 1) != 0;
}

int
qr_check(struct err *err)
{
	(void)err;
	return 0;
}

int
qr_draw(FILE *out, const char *text, struct err *err)
{
	/* By the upper module's and the lower one's colour; the terminal's own colours
	 * are set, so that dark is dark on any of them. */
	static const char *const block[2][2] = {{" ", "\342\226\204"},
						{"\342\226\200", "\342\226\210"}};
	QRcode *qr = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);

	if (qr == NULL)
		return err_set(err, "the QR code cannot be made");
	for (int y = -MARGIN; y < qr->width + MARGIN; y += 2) {
		fputs("\033[30;107m", out);
		for (int x = -MARGIN; x < qr->width + MARGIN; x++)
			fputs(block[is_dark(qr, x, y)][is_dark(qr, x, y + 1)], out);
		fputs("\033[0m\n", out);
	}
	QRcode_free(qr);
	return 0;
}

#else

int
qr_check(struct err *err)
{
	return err_set(err, "this build has no QR codes: install libqrencode-dev, and "
			    "configure and build again, or leave --qr out");
}

int
qr_draw(FILE *out, const char *text, struct err *err)
{
	(void)out;
	(void)text;
	return qr_check(err);
}

#endif
