import { format, inspect } from 'node:util';

/** The error with which Ctrl-C ends a line. */
export class KeyboardInterrupt extends Error {
  override readonly name = 'KeyboardInterrupt';
}

// Not a global, but the class of every async function.
const AsyncFunction = (async () => {}).constructor as new (
  ...parts: string[]
) => (...values: unknown[]) => Promise<unknown>;

/**
 * Evaluates typed lines of TypeScript: declarations last to the next lines, `await` works, the value of an expression is
 * printed and is `_` from then on. `ctrlC()` returns the signal that `interrupt` aborts.
 */
export class Terminal {
  private readonly print: (text: string) => void;
  private readonly packages: Readonly<Record<string, object>>;
  private readonly scope: { [name: string]: unknown; _?: unknown };
  private controller = new AbortController();

  /** `print` gets the output; `packages` has the packages that lines may import, by name. */
  constructor(print: (text: string) => void, packages: Readonly<Record<string, object>>) {
    this.print = print;
    this.packages = packages;
    this.scope = {
      console: {
        log: (...values: unknown[]) => {
          print(format(...values));
        },
      },
      ctrlC: () => this.controller.signal,
    };
  }

  /** Runs a line. If it throws, prints the error and returns false. */
  async run(line: string): Promise<boolean> {
    this.controller = new AbortController();
    try {
      const value = await this.evaluate(line);
      // As at Python's prompt, null is not printed.
      if (value === undefined || value === null) return true;
      this.scope._ = value;
      this.print(inspect(value));
      return true;
    } catch (error) {
      this.print(String(error));
      return false;
    }
  }

  /** Ctrl-C. */
  interrupt(): void {
    this.controller.abort(new KeyboardInterrupt());
  }

  /** The value of an expression; undefined for anything else. */
  private async evaluate(line: string): Promise<unknown> {
    const imported = /^import \{ (.+) \} from '(.+)'$/.exec(line);
    if (imported !== null) {
      const [, names = '', from = ''] = imported;
      for (const name of names.split(', '))
        this.scope[name] = Reflect.get(this.packages[from] ?? {}, name);
      return undefined;
    }
    const assigned = /^(?:const |let )?(\w+) = (.+)$/s.exec(line);
    if (assigned !== null) {
      const [, name = '', expression = ''] = assigned;
      this.scope[name] = await this.call(`return (${expression})`);
      return undefined;
    }
    return this.call(/^for\b/.test(line) ? line : `return (${line})`);
  }

  private call(body: string): Promise<unknown> {
    return new AsyncFunction('scope', `with (scope) { ${body} }`)(this.scope);
  }
}
