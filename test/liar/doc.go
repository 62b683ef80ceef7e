// SPDX-License-Identifier: AGPL-3.0-or-later

// Package liar moves studies between peers that lie, and judges from outside whether Success meant that all was there.
// Each task draws, from a seed, a study, how its servers are set up, and a handful of lies: what the source lists,
// counts, sends and answers, what the destination acknowledges and keeps, what becomes of its folder. What every list,
// count and arrival has disclosed is written down by the peers themselves, and so is what the destination took.
//
//	go test ./test/liar -run TestLyingPeer   a short run
//	go test ./test/liar -run TestLyingPeer -tasks 10000 -at-once 200 -timeout 60m   a long one
//	go test ./test/liar -run TestLyingPeer -seed N -tasks 1 -v   one task again, as it was reported
//
// A task that went wrong is run again with fewer lies, until none can be left out (-shrink=false: not).
package liar
