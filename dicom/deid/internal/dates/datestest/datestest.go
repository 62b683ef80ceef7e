// SPDX-License-Identifier: AGPL-3.0-or-later

// Package datestest provides dates in many notations, for tests of code that reads them.
package datestest

// Ways27Nov are ways to write 27 November 2019.
var Ways27Nov = []string{
	"27 Nov 2019", "27.11.19", "27/11/2019", "11/27/2019", "27. November 2019", "27NOV2019",
	"27nov19", "Nov 27th 2019", "November 27, 2019", "27th of November 2019", "2019-11-27",
	"2019/11/27", "2019 Nov 27", "27-11-19", "19-11-27", "Nov272019", "NOV2719", "November272019", "19Nov27",
	"20191127", "27112019", "271119", "191127", "20191127101500", "27_11_2019", "27. 11. 2019", "27 11 2019",
}

// Ways27March are ways to write 27 March 2019 in other languages than English and German.
var Ways27March = []string{
	"27 mars 2019", "27-mars-19", "27MARS2019", "mars 27, 2019", "27/mar/2019", "27 de marzo de 2019",
	"27 marzo 2019", "27/marzo/19", "27 maart 2019", "27-mrt-2019", "27 março 2019", "27 de Março de 2019",
	"27 marca 2019", "27 марта 2019", "27 Μαρτίου 2019",
	"27 mart 2019", "27. března 2019", "2019 mars 27", "27 marts 19",
	"2019年3月27日", "２０１９年３月２７日", "2019年03月27日", "二〇一九年三月二十七日", "2019년 3월 27일", "H31.3.27",
	"h31-03-27", "H31/3/27", "H310327", "平成31年3月27日", "平成三十一年三月二十七日", "㍻31年3月27日", "平31.3.27",
}
