// SPDX-License-Identifier: AGPL-3.0-or-later

import { useQuery } from '@tanstack/react-query';

import { Failed, Loading } from '../../components/states';
import { useNodes } from '../../servers/queries';
import { useMe } from '../../session/me';
import { allAccess, allGroups } from './open';
import { OpenForm } from './OpenForm';
import { Step } from './Step';
import c from './Welcome.module.css';

type WhoMayUseItProps = {
  /** Names of what was added just now. */
  added: string[];
  onFolder: (name: string) => void;
  onAnother: () => void;
  onDone: () => void;
};

/** WhoMayUseIt gives a group permissions, and access to what there is. */
export default function WhoMayUseIt({ added, onFolder, onAnother, onDone }: WhoMayUseItProps) {
  const me = useMe();
  const nodes = useNodes();
  const groups = useQuery({ queryKey: ['groups'], queryFn: allGroups, staleTime: 0 });
  const access = useQuery({ queryKey: ['access'], queryFn: allAccess, staleTime: 0 });
  const failed = nodes.error ?? groups.error ?? access.error;
  const again = () => {
    void nodes.refetch();
    void groups.refetch();
    void access.refetch();
  };
  return (
    <Step
      at={2}
      title="Who may use it"
      says="People get rights through groups: what they may do, and which servers and folders they may do it with."
    >
      {nodes.data && groups.data && access.data ? (
        <OpenForm
          me={me}
          nodes={nodes.data}
          groups={groups.data}
          access={access.data}
          added={added}
          onFolder={onFolder}
          onAnother={onAnother}
          onDone={onDone}
        />
      ) : failed ? (
        <Failed error={failed} retry={again} />
      ) : (
        <div className={c.card}>
          <Loading rows={4} />
        </div>
      )}
    </Step>
  );
}
