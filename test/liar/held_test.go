// SPDX-License-Identifier: AGPL-3.0-or-later

package liar

// notHeld are the lies that are left out of a run with -lies held, by their names, with what goes wrong: ADIT is known not to hold
// against them.
var notHeld = map[string]string{
	"the study's count is wrong":                       contradicted,
	"a series' count is wrong":                         falseSuccess,
	"no counts":                                        unnamed,
	"the list of series is capped":                     falseSuccess,
	"a series without UID":                             falseSuccess,
	"a series with another's UID":                      falseSuccess,
	"a series that isn't there":                        contradicted,
	"the list of images is capped":                     unnamed,
	"the list of images shrinks":                       unnamed,
	"some images are not listed":                       unnamed,
	"an image is listed under another's UID":           unnamed,
	"UIDs that are none are listed":                    contradicted,
	"images that aren't there are listed":              contradicted,
	"series of other studies, without the study's UID": contradicted,
	"one UID in two series":                            inSilence,
	"sends the whole study":                            notAskedFor,
	"sends another series besides":                     notAskedFor,
	"sends another series instead":                     notAskedFor,
	"sends one image of another series besides":        notAskedFor,
	"another patient inside":                           inSilence,
	"acknowledges another UID":                         falseSuccess,
	"holds older ones already":                         falseSuccess,
	"counts strangers, has no list, keeps not all":     falseSuccess,
	"a file is removed between two attempts":           falseSuccess,
	"the folder is emptied between two attempts":       falseSuccess,
}
