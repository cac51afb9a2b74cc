/** In place of rows of a table that are not in sight. */
export function Space({ columns, height }: { columns: number; height: number }) {
  if (height === 0) return null;
  return (
    <tr class="space">
      <td colSpan={columns} style={{ height: `${height}px` }} />
    </tr>
  );
}
