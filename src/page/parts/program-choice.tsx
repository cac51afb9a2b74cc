import { model, traffic } from '../state/feed.ts';
import { refine } from '../state/route.ts';

/** Chooses a program, or all. */
export function ProgramChoice({ ksock }: { ksock: number }) {
  // Programs come and go with the rates.
  void traffic.value;
  const { programs } = model.value;
  const { present } = programs;
  const isThere = ksock === 0 || present.some((one) => one.ksock === ksock);
  return (
    <select
      aria-label="Program"
      value={ksock}
      onChange={({ currentTarget }) => refine({ ksock: Number(currentTarget.value) })}
    >
      <option value={0}>all programs</option>
      {!isThere && <option value={ksock}>{programs.whoIs(ksock)}</option>}
      {present.map((one) => (
        <option key={one.ksock} value={one.ksock}>
          {programs.whoIs(one.ksock)}
        </option>
      ))}
    </select>
  );
}
