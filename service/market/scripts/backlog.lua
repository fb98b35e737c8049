-- How far the ledger is with the journal. Needs time.lua.

local function split(id)
    local ms, sequence = id:match('^(%d+)-(%d+)$')
    return tonumber(ms), tonumber(sequence)
end

-- What Redis knows of the ledger's consumer group, nil when there is none yet.
local function ledger()
    if redis.call('EXISTS', KEY_JOURNAL) == 0 then
        return nil
    end
    for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEY_JOURNAL)) do
        local group = {}
        for index = 1, #flat, 2 do
            group[flat[index]] = flat[index + 1]
        end
        if group.name == KEY_LEDGER_GROUP then
            return group
        end
    end
    return nil
end

-- The first id that may not be in SQL: every entry before it was acknowledged.
local function undrained(group)
    local oldest = redis.call('XPENDING', KEY_JOURNAL, KEY_LEDGER_GROUP)[2]
    if oldest then
        return split(oldest)
    end
    local ms, sequence = split(group['last-delivered-id'])
    return ms, sequence + 1
end

-- The first entry at or after an id as {id, fields}, nil when there is none.
local function entry_from(ms, sequence)
    return redis.call('XRANGE', KEY_JOURNAL, integer(ms) .. '-' .. integer(sequence), '+', 'COUNT', 1)[1]
end

local function field(entry, name)
    local flat = entry[2]
    for index = 1, #flat, 2 do
        if flat[index] == name then
            return flat[index + 1]
        end
    end
    return nil
end

-- {entries, undrained ones, age of the oldest of those (ms), entries drained so far}.
local function standing()
    local entries = redis.call('XLEN', KEY_JOURNAL)
    local group = ledger()
    local ms, sequence, drained, backlog = 0, 0, 0, entries
    if group then
        ms, sequence = undrained(group)
        drained = (group['entries-read'] or 0) - group.pending
        backlog = group.pending + (group.lag or entries)
    end
    local next, age_ms = entry_from(ms, sequence), 0
    if next then
        age_ms = math.max(0, now_ms - split(next[1]))
    end
    return { entries, backlog, age_ms, drained }
end
