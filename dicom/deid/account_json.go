// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package deid

import "encoding/json"

type doneJSON struct {
	Tag    string `json:"tag"`
	Action string `json:"action"`
	Rule   string `json:"rule"`
	N      int    `json:"n"`
}

// MarshalJSON writes names, as profiles have them.
func (d Done) MarshalJSON() ([]byte, error) {
	return json.Marshal(doneJSON{d.Tag.String(), d.Action.String(), d.Rule, d.N})
}
