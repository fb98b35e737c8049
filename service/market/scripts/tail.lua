-- Reads what SQL may not have yet of some users, newest first, by the ids of their tails; reads only.
--
-- ARGV  place from which on it is wanted (epoch, ms, sequence), place before which ('' for no end, '', ''),
--       pool whose predictions and cancellations are wanted or '' for changes of the account,
--       how many ids of each user are looked at, user, ...
-- Answers {trimmed, floor or '', {id, fields}, ...}. The floor is a place: older than it something may be
-- missing, because a user had more ids than are looked at. Cancellations are told whatever the end.
--
-- The ids of a tail rise, and so do the places of the entries: all were written to this one stream.

local from = { tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]) }
local below = ARGV[4] ~= '' and { tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]) }
local pool, most = ARGV[7], tonumber(ARGV[8])
local epoch = tonumber(redis.call('GET', KEY_EPOCH) or 0)
local floor
local answer = { redis.call('GET', KEY_JOURNAL_TRIMMED) or '', '' }

local function is_before(one, other)
    for index = 1, 3 do
        if one[index] ~= other[index] then
            return one[index] < other[index]
        end
    end
    return false
end

-- How many ids of a tail are before one.
local function count_before(tail, length, ms, sequence)
    local low, high = 0, length
    while low < high do
        local middle = math.floor((low + high) / 2)
        local other_ms, other_sequence = split(redis.call('LINDEX', tail, middle))
        if other_ms < ms or (other_ms == ms and other_sequence < sequence) then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end

-- Looks at the newest of the first `count` ids; answers the oldest place seen when there are more to see.
local function look(tail, count, is_wanted)
    local first = math.max(0, count - most)
    local place
    local ids = count > 0 and redis.call('LRANGE', tail, first, count - 1) or {}
    for index = #ids, 1, -1 do
        local ms, sequence = split(ids[index])
        if from[1] >= epoch and is_before({ from[1], ms, sequence }, from) then
            return nil
        end
        local entry = redis.call('XRANGE', KEY_JOURNAL, ids[index], ids[index])[1]
        if not entry then
            return nil
        end
        place = { tonumber(field(entry, 'epoch')), ms, sequence }
        if is_before(place, from) then
            return nil
        end
        if is_wanted(entry, place) then
            answer[#answer + 1] = entry
        end
    end
    return first > 0 and place or nil
end

local function is_cancellation(entry)
    return field(entry, 'kind') == 'cancellation' and field(entry, 'pool') == pool
end

local function is_asked_for(entry, place)
    if pool ~= '' and is_cancellation(entry) then
        return true
    end
    if below and not is_before(place, below) then
        return false
    end
    if pool == '' then
        return field(entry, 'amount') ~= nil
    end
    return field(entry, 'kind') == 'prediction' and field(entry, 'pool') == pool
end

for index = 9, #ARGV do
    local tail = KEY_TAIL .. ARGV[index]
    local length = redis.call('LLEN', tail)
    local count = below and count_before(tail, length, below[2], below[3]) or length
    local place = look(tail, count, is_asked_for)
    if place and (not floor or is_before(floor, place)) then
        floor = place
    end
    if pool ~= '' and count < length then
        look(tail, length, is_cancellation)
    end
end
if floor then
    answer[2] = table.concat({ integer(floor[1]), integer(floor[2]), integer(floor[3]) }, '-')
end
return answer
