// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"encoding/json"
	"net/http"
)

// About is what the program tells of itself to everybody who uses it over the network (AGPL section 13).
type About struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Commit  string `json:"commit"`
	License string `json:"license"`
	Source  string `json:"source"` // address of the source of this version
	Notice  string `json:"notice"`
}

func (a About) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		panic(err) // it holds texts
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n')) // whoever has gone misses nothing
}
