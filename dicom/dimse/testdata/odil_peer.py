# SPDX-License-Identifier: AGPL-3.0-or-later
"""odil as a peer: `odil_peer.py scu PORT STUDY FILE…` and `odil_peer.py scp PORT`."""
import sys

import odil

FIND = odil.registry.StudyRootQueryRetrieveInformationModelFind
GET = odil.registry.StudyRootQueryRetrieveInformationModelGet
MOVE = odil.registry.StudyRootQueryRetrieveInformationModelMove
CT = odil.registry.CTImageStorage
TRANSFER = [odil.registry.ExplicitVRLittleEndian]


def query(study):
    d = odil.DataSet()
    d.add("QueryRetrieveLevel", ["STUDY"])
    d.add("StudyInstanceUID", [study])
    return d


def scu(port, study, files):
    roles = odil.AssociationParameters.PresentationContext.Role
    context = odil.AssociationParameters.PresentationContext
    a = odil.Association()
    a.set_peer_host("127.0.0.1")
    a.set_peer_port(port)
    p = odil.AssociationParameters()
    p.set_calling_ae_title("ODIL").set_called_ae_title("ADIT").set_presentation_contexts(
        [context(uid, TRANSFER, roles.SCU) for uid in (odil.registry.Verification, FIND, GET, MOVE)]
        + [context(CT, TRANSFER, roles.Both)]
    )
    a.set_parameters(p)
    a.associate()
    odil.EchoSCU(a).echo()
    store = odil.StoreSCU(a)
    for f in files:
        _, d = odil.Reader.read_file(f)
        store.set_affected_sop_class(d)
        store.store(d)
    find = odil.FindSCU(a)
    find.set_affected_sop_class(FIND)
    for d in find.find(query("")):
        print("found", d.as_string("StudyInstanceUID")[0].decode())
    get = odil.GetSCU(a)
    get.set_affected_sop_class(GET)
    for d in get.get(query(study)):
        print("got", d.as_string("SOPInstanceUID")[0].decode())
    move = odil.MoveSCU(a)
    move.set_affected_sop_class(MOVE)
    move.set_move_destination("STORE")
    move.set_incoming_port(0)
    move.move(query(study))
    print("moved")
    a.release()


def scp(port):
    a = odil.Association()
    a.receive_association("v4", port)
    echo, store = odil.EchoSCP(a), odil.StoreSCP(a)
    echo.set_callback(lambda message: 0)

    def stored(message):
        print("stored", message.get_data_set().as_string("SOPInstanceUID")[0].decode(), flush=True)
        return 0

    store.set_callback(stored)
    dispatcher = odil.SCPDispatcher(a)
    dispatcher.set_echo_scp(echo)
    dispatcher.set_store_scp(store)
    try:
        while True:
            dispatcher.dispatch()
    except odil.AssociationReleased:
        print("released", flush=True)


if sys.argv[1] == "scu":
    scu(int(sys.argv[2]), sys.argv[3], sys.argv[4:])
else:
    scp(int(sys.argv[2]))
