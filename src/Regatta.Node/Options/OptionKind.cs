using System.Collections.Immutable;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Regatta.Node;

/// <summary>How the values of one type are written in flags, environment, files, status and documents.</summary>
/// <param name="Label">The type as the documents name it.</param>
/// <param name="Read">The value, or what is allowed: "must be ...".</param>
/// <param name="Write">Text that <paramref name="Read"/> reads back as the same value.</param>
internal sealed record OptionKind<T>(string Label, OptionReader<T> Read, Func<T, string> Write);

/// <returns>False with <paramref name="problem"/> set to words that follow the option's name, such as "must be a whole number".</returns>
internal delegate bool OptionReader<T>(string text, out T value, out string? problem);

internal static class OptionKinds
{
    public static readonly OptionKind<string> Text = new("text", ReadText, value => value);

    public static readonly OptionKind<bool> Flag = new("flag", ReadFlag, value => value ? "true" : "false");

    public static readonly OptionKind<long> Number = new("number", ReadNumber, value => value.ToString(CultureInfo.InvariantCulture));

    public static readonly OptionKind<long> Bytes = new("bytes", ByteSize.TryParse, value => value.ToString(CultureInfo.InvariantCulture));

    public static readonly OptionKind<TimeSpan> Duration = new("duration", DurationText.TryParse, DurationText.Format);

    public static readonly OptionKind<ListenAddress> Address = new("address", ReadAddress, value => value.ToString());

    public static readonly OptionKind<LogLevel> Level = new("level", ReadLevel, WriteLevel);

    public static readonly OptionKind<ImmutableArray<string>> List = new("list", ReadList, value => string.Join(',', value));

    public static readonly OptionKind<ImmutableArray<Uri>> Urls = new("urls", ReadUrls, value => string.Join(',', value.Select(url => url.GetLeftPart(UriPartial.Authority))));

    public static readonly OptionKind<ImmutableSortedDictionary<long, string>> Members =
        new("members", ReadMembers, value => string.Join(',', value.Select(member => $"{member.Key}={member.Value}")));

    private static bool ReadText(string text, out string value, out string? problem)
    {
        value = text;
        problem = null;
        return true;
    }

    private static bool ReadFlag(string text, out bool value, out string? problem)
    {
        problem = bool.TryParse(text, out value) ? null : "must be true or false";
        return problem is null;
    }

    private static bool ReadNumber(string text, out long value, out string? problem)
    {
        problem = long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value) ? null : "must be a whole number";
        return problem is null;
    }

    private static bool ReadAddress(string text, out ListenAddress value, out string? problem)
    {
        bool read = ListenAddress.TryParse(text, out ListenAddress? address, out problem);
        value = address!;
        return read;
    }

    private static bool ReadLevel(string text, out LogLevel value, out string? problem)
    {
        value = text.ToUpperInvariant() switch
        {
            "DEBUG" => LogLevel.Debug,
            "INFO" => LogLevel.Information,
            "WARN" => LogLevel.Warning,
            "ERROR" => LogLevel.Error,
            _ => LogLevel.None,
        };
        problem = value == LogLevel.None ? "must be DEBUG, INFO, WARN or ERROR" : null;
        return problem is null;
    }

    private static string WriteLevel(LogLevel level) => level switch
    {
        LogLevel.Trace or LogLevel.Debug => "DEBUG",
        LogLevel.Information => "INFO",
        LogLevel.Warning => "WARN",
        _ => "ERROR",
    };

    private static bool ReadList(string text, out ImmutableArray<string> value, out string? problem)
    {
        value = [.. text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
        problem = null;
        return true;
    }

    private static bool ReadUrls(string text, out ImmutableArray<Uri> value, out string? problem)
    {
        ImmutableArray<Uri>.Builder urls = ImmutableArray.CreateBuilder<Uri>();
        problem = null;
        foreach (string part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (Uri.TryCreate(part, UriKind.Absolute, out Uri? url) && url is { Scheme: "http", PathAndQuery: "/", UserInfo: "", Host.Length: > 0, Port: > 0 })
                urls.Add(url);
            else if (url?.Scheme is "https" or "unixs")
                problem = $"asks for TLS with \"{part}\", which this version cannot do yet; use http://";
            else
                problem = $"must be a list of http://HOST:PORT separated by commas; \"{part}\" is none";
        }
        value = urls.DrainToImmutable();
        return problem is null;
    }

    private static bool ReadMembers(string text, out ImmutableSortedDictionary<long, string> value, out string? problem)
    {
        ImmutableSortedDictionary<long, string>.Builder members = ImmutableSortedDictionary.CreateBuilder<long, string>();
        problem = null;
        foreach (string part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0 || !long.TryParse(part.AsSpan(0, equals), NumberStyles.None, CultureInfo.InvariantCulture, out long id) || id < 1
                || !HostPort.IsValid(part[(equals + 1)..]))
                problem = "must be a list of ID=HOST:PORT separated by commas, with ids from 1 up";
            else if (!members.TryAdd(id, part[(equals + 1)..]))
                problem = $"names the member {id} twice";
        }
        value = members.ToImmutable();
        return problem is null;
    }
}
