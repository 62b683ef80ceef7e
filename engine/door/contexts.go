// SPDX-License-Identifier: AGPL-3.0-or-later

package door

import "github.com/adit-go/adit/dicom/dict"

// PlainSyntaxes are the transfer syntaxes of identifiers.
var PlainSyntaxes = []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}

// MaxContexts is how many presentation contexts an association can have (PS3.8 9.3.2.2: odd numbers from 1 to 255).
const MaxContexts = 128

// StaleTries bounds how often in a row an association is opened anew, without counting, that the peer had ended before
// anything was sent: one that ends each as soon as it is open never comes to anything.
const StaleTries = 5
