// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

// making is what is asked before a job is made: what it names, and whether its user may make it.
type making struct{ *Service }
