// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

// QueryOptions are those of the extended negotiation of the C-FIND SOP classes (PS3.4 C.5.1.1). A peer that answers
// none has none.
type QueryOptions struct {
	Relational bool // keys above the level of the query may be missing
	DateTime   bool // date and time ranges are matched as one
	FuzzyNames bool // person names are matched by meaning, not by letters
}

// Encode gives them as Context.Extended.
func (o QueryOptions) Encode() []byte {
	b := make([]byte, 3)
	for i, set := range []bool{o.Relational, o.DateTime, o.FuzzyNames} {
		if set {
			b[i] = 1
		}
	}
	return b
}

// ParseQueryOptions reads what a peer sent, of any length.
func ParseQueryOptions(b []byte) QueryOptions {
	has := func(i int) bool { return i < len(b) && b[i] == 1 }
	return QueryOptions{Relational: has(0), DateTime: has(1), FuzzyNames: has(2)}
}
