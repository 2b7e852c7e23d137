-- grain: channel; the fraction of all first ten films that name the channel
select channel, count(*) / (select count(*) from recommendations where rank <= 10) as fraction
from (select unnest(channels) as channel from recommendations where rank <= 10)
group by channel
order by fraction desc, channel;
