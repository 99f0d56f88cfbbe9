using System.Globalization;
using Spectre.Console;

namespace Regatta.Cli;

/// <summary>A progress bar on standard error while something long runs; nothing at all when that is not a terminal.</summary>
internal static class ProgressDisplay
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(100);

    /// <param name="surroundings">Where to.</param>
    /// <param name="total">Units of work; null if it cannot be known.</param>
    /// <param name="state">Units done and records done. Called from another thread than the work's.</param>
    /// <param name="work">What runs.</param>
    public static Task<T> RunAsync<T>(Surroundings surroundings, long? total, Func<(long Done, long Records)> state, Func<Task<T>> work)
    {
        if (!surroundings.ErrorIsTerminal)
            return work();
        return new Progress(ConsoleFor(surroundings), surroundings.Clock) { AutoClear = true }
            .Columns(Columns(total is not null))
            .StartAsync(context => FollowAsync(context, surroundings.Clock, total, state, work));
    }

    private static ProgressColumn[] Columns(bool bounded) => bounded
        ? [new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn()]
        : [new SpinnerColumn(Spinner.Known.Line), new TaskDescriptionColumn(), new ElapsedTimeColumn()];

    private static async Task<T> FollowAsync<T>(
        ProgressContext context, TimeProvider clock, long? total, Func<(long Done, long Records)> state, Func<Task<T>> work)
    {
        ProgressTask bar = context.AddTask("0 records", maxValue: Math.Max(1, total ?? 1));
        bar.IsIndeterminate = total is null;
        Task<T> running = work();
        while (!running.IsCompleted)
        {
            (long done, long records) = state();
            bar.Description = string.Create(CultureInfo.InvariantCulture, $"{records:N0} records");
            if (total is not null)
                bar.Value = done;
            await Task.WhenAny(running, Task.Delay(Period, clock));
        }
        return await running;
    }

    private static IAnsiConsole ConsoleFor(Surroundings surroundings) => AnsiConsole.Create(new AnsiConsoleSettings
    {
        Out = new AnsiConsoleOutput(surroundings.Error),
        Ansi = AnsiSupport.Yes,
        Interactive = InteractionSupport.Yes,
        ColorSystem = surroundings.WithoutColors ? ColorSystemSupport.NoColors : ColorSystemSupport.Standard,
    });
}
