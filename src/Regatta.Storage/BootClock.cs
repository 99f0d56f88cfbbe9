using System.Runtime.InteropServices;

namespace Regatta.Storage;

/// <summary>
/// The system's clock, with time stamps that go on while the machine sleeps (CLOCK_BOOTTIME); those of <see cref="TimeProvider.System"/> stand still meanwhile. A state that was known to be recent before the machine
/// slept would pass for recent afterwards. Neither jumps when the time of day is set. Elsewhere than on Linux it is the system's. Thread-safe.
/// </summary>
public sealed partial class BootClock : TimeProvider
{
    private const int BootTime = 7;
    private const long NanosecondsPerSecond = 1_000_000_000;

    private static readonly bool IsHere = OperatingSystem.IsLinux();

    private BootClock()
    {
    }

    public static BootClock Instance { get; } = new();

    public override long TimestampFrequency => IsHere ? NanosecondsPerSecond : base.TimestampFrequency;

    public override long GetTimestamp()
    {
#if DEBUG
        if (DebugBugs.Current == DebugBug.TimeOfDayTrusted)
            return (GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick;
#endif
        if (!IsHere)
            return base.GetTimestamp();
        // It fails only for a clock that the kernel does not have, and it has had this one since 2.6.39.
        return ReadClock(BootTime, out TimeSpec now) == 0
            ? (now.Seconds * NanosecondsPerSecond) + now.Nanoseconds
            : throw new PlatformNotSupportedException("The kernel has no CLOCK_BOOTTIME.");
    }

    [SuppressGCTransition]
    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int ReadClock(int clock, out TimeSpec now);

    // As on x86-64 and arm64.
    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
