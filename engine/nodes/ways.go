// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import "github.com/adit-go/adit/db"

// AsksByWeb reports whether a server is searched by QIDO-RS. C-FIND comes first where it offers both: its answer says
// when it is whole.
func AsksByWeb(s *db.Server) bool { return !s.StudyRootFind && !s.PatientRootFind && s.QidoRs }

// ReadsByWeb reports whether a server offers WADO-RS.
func ReadsByWeb(s *db.Server) bool { return s.WadoRs }

// StoresByWeb reports whether a server is stored to by STOW-RS, which comes first where it offers C-STORE as well.
func StoresByWeb(s *db.Server) bool { return s.StowRs }

// NeedsPatient reports whether queries below the level of patients have to name the patient: those of the Patient Root
// model.
func NeedsPatient(s *db.Server) bool { return !s.StudyRootFind && s.PatientRootFind }
